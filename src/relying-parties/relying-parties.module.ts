import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { InitialRelyingParties } from './initial-relying-parties.js';
import { RelyingPartiesController } from './relying-parties.controller.js';
import { RelyingPartiesService } from './relying-parties.service.js';
import { RelyingPartyEntity } from './relying-party.entity.js';

@Module({
  imports: [TypeOrmModule.forFeature([RelyingPartyEntity])],
  controllers: [RelyingPartiesController],
  providers: [RelyingPartiesService, InitialRelyingParties],
  exports: [RelyingPartiesService],
})
export class RelyingPartiesModule {}
